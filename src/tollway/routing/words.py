"""The words that tell what a prompt is about, in several languages: marker -> words and beginnings of words.

A word that ends in `*` is the beginning of one. Chinese, Japanese and Korean put no spaces between words, so theirs are
looked for inside the text. The lists hold what is rare outside their subject; a marker is a hint, never a verdict.
"""

from collections.abc import Mapping

WORDS: Mapping[str, str] = {
    "code": """python javascript typescript java* golang rust kotlin swift ruby php c++ html css bash shell regex* api apis json
        yaml docker* kubernetes* git npm react django flask pandas numpy compil* runtime stdout async await func* def class
        code codes coding kode código codigo programm* progra* skript script scripts algorithm* algoritm* algorithmus
        refactor* unittest* unit-test pytest backend frontend microservice* endpoint* boolean integer recursi* binary
        linkedlist hashmap leetcode функци* код алгоритм* программ* funktion fonction función função funzione""",
    "debug": """debug* bug bugs traceback stacktrace segfault nullpointer* exception* error errors fehler* erreur* fix fixes
        crash* broken failing fails ошибк* отлад* errore* depur* corrig* behebe beheb*""",
    "sql": "sql postgres* mysql sqlite select join joins subquery database* datenbank* tabla tabelle schema query queries",
    "math": """calculat* compute solve equation* integral* derivative* polynomial* matrix matrices eigenvalue* probabilit*
        algebra* geometr* theorem* triangle* prime primes modulo factorial* logarithm* vector vectors variance* berechn*
        gleichung* wahrscheinlich* calcul* résou* équation* ecuación* ecuacion* equação* equazion* probabilidad* вычисл*
        уравнен* интеграл* вероятност* percent sum product sqrt remainder multiply divid*""",
    "proof": """prove proves proof proofs irrational lemma corollary induction contradiction axiom* q.e.d qed beweis* démontr*
        demontr* demostr* demuestr* provar demonstr* dimostr* доказ* докаж* rigorous*""",
    "science": """physics quantum chemi* molecul* biolog* protein* genom* enzyme* thermodynamic* relativit* photosynth* physik
        chimie química neuron* astronom* entropy particle* catalys* физик* хими* биолог*""",
    "legal": """legal law lawyer* attorney* contract* clause* lawsuit litigat* statute* plaintiff* defendant* liabilit* brief
        jurisdiction* gdpr tort indemn* copyright* patent* vertrag* klage* gesetz* recht* juridique* contrat* loi avocat*
        jurídic* contrato* ley abogad* договор* закон* юрид* иск""",
    "medical": """medical patient* diagnos* symptom* treatment* dosage dose drug drugs therap* clinical disease* cancer surgery
        medizin* krank* médic* maladie* paciente* enfermedad* síntoma* sintoma* диагно* лечен* симптом*""",
    "finance": "portfolio valuation dcf hedge* derivativ* amortiz* balance-sheet ebitda arbitrage* actuarial* tax taxes",
    "summary": """summar* tl;dr tldr condense* recap zusammenfass* fasse résum* resum* riassum* кратко обобщ* резюм* shorten""",
    "translate": """translat* übersetz* uebersetz* tradu* traduz* перевед* перевод*""",
    "extract": """extract* classify classif* categor* label parse list names entities sentiment* extrahier* extrai* extrae*
        klassifizier* извлек* классифиц*""",
    "write": """write essay* story stories poem* blog* article* novel* letter* draft* compose rewrite* rephras* schreib*
        gedicht* écri* rédig* escrib* redact* escrev* scriv* напиш* сочин* стих* slogan*""",
    "longform": "chapter* dissertation* thesis whitepaper* report* brief memorandum* manuscript* novel* comprehensive* in-depth",
    "plan": """plan plans planning roadmap* strateg* itinerar* schedul* milestone* architect* design* plane planung* planif*
        conçois concev* diseñ* disen* projet* progett* план* спроект* разработ* migrat*""",
    "research": "research* literature survey* investigat* systematic* sources citations cite bibliograph* recherch* исследов*",
    "reason": """why explain* analy* compare* contrast* evaluat* trade-off* tradeoff* tradeoffs argue* reason* infer* deduc*
        implication* critic* warum erklär* erklar* vergleich* pourquoi expliqu* compar* porque explica* analiz* анализ*
        сравн* почему объясн*""",
    "steps": "step steps first second then next finally schritt* étape* etape* paso* passo* сначала затем",
    "constraints": """must should exactly least most constraint* require* ensure without only never always within between muss*
        doit doivent debe* deve* должн* только unless guarantee*""",
    "hard": """distributed concurren* scalab* fault-tolerant consensus byzantine cryptograph* optimi* formal* multi-tenant
        real-time throughput latency kernel compiler* quantum asymptotic* np-hard rigorous* novel production* regulat*
        enterprise* end-to-end verteilt* répart* распредел*""",
    "factual": """who what when where which capital time date weather how-many wer wann wo welche* qui quand où quién cuándo
        dónde chi quando dove кто что когда где define definition meaning name""",
    "chat": """hi hello hey thanks thank you please bye morning hallo danke bonjour merci salut hola gracias ciao grazie olá
        obrigad* привет спасибо ok okay yes no""",
}
INSIDE: Mapping[str, tuple[str, ...]] = {
    "code": ("代码", "函数", "编程", "程序", "算法", "コード", "関数", "プログラム", "코드", "함수", "프로그램"),
    "debug": ("调试", "报错", "错误", "デバッグ", "エラー", "디버그", "오류"),
    "math": ("计算", "方程", "积分", "概率", "計算", "方程式", "積分", "確率", "계산", "방정식", "적분", "확률"),
    "proof": ("证明", "證明", "証明", "증명"),
    "legal": ("法律", "合同", "律师", "契約", "訴訟", "법률", "계약", "소송"),
    "medical": ("医疗", "患者", "症状", "诊断", "診断", "의료", "환자", "진단"),
    "summary": ("总结", "摘要", "概括", "要約", "요약"),
    "translate": ("翻译", "翻譯", "翻訳", "번역"),
    "write": ("写一", "撰写", "作文", "書いて", "써줘", "작성"),
    "plan": ("设计", "规划", "架构", "設計", "計画", "설계", "계획"),
    "reason": ("为什么", "解释", "分析", "比较", "なぜ", "説明", "比較", "왜", "설명", "비교"),
    "hard": ("分布式", "并发", "高可用", "分散", "분산", "동시성"),
    "factual": ("什么", "哪里", "谁", "几点", "何時", "いつ", "どこ", "誰", "무엇", "언제", "어디"),
    "chat": ("你好", "谢谢", "こんにちは", "ありがとう", "안녕", "감사"),
}
STEM = 4
"""Beginnings are looked up by their first four characters; shorter ones are whole words."""


def tables() -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[tuple[str, str], ...]]]:
    """(word -> markers, first four characters -> (beginning, marker)...)."""
    whole, begun = dict[str, tuple[str, ...]](), dict[str, tuple[tuple[str, str], ...]]()
    for marker, text in WORDS.items():
        for word in text.split():
            if word.endswith("*") and len(word) > STEM:
                stem = word[:-1]
                begun[stem[:STEM]] = (*begun.get(stem[:STEM], ()), (stem, marker))
            else:
                word = word.removesuffix("*")  # noqa: PLW2901
                whole[word] = (*whole.get(word, ()), marker)
    return whole, begun
