"""The line of every key, against texts that are awkward to read."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from tollway.tomlplace import key_lines


def test_headers_keys_comments_and_strings():
    text = """\
# port = 1
[server]
host = "0.0.0.0"   # [data]

port = 8080
note = \"\"\"
[data]
folder = 'no' \\\"\"\" still
\"\"\"\"
other = '''
[x]
'''
[data]
folder = 'C:\\new'
"""
    assert tomllib.loads(text)["server"]["note"].endswith('"')
    assert key_lines(text) == {
        ("server",): 2,
        ("server", "host"): 3,
        ("server", "port"): 5,
        ("server", "note"): 6,
        ("server", "other"): 10,
        ("data",): 13,
        ("data", "folder"): 14,
    }


def test_arrays_of_tables_and_inline_tables():
    text = """\
[providers.mine]
url = "http://localhost:1"
models_note = [1, 2, [3]]
[[providers.mine.models]]
id = "a"
prices = {input = "0.5", # to the million
  output = "1.5"}
[[providers.mine.models]]
id = "b"
[providers.mine.models.prices]
input = "1"
[providers."a.b"]
key = 1.5e3
dotted."x y".z = 1979-05-27 07:32:00
many = [
  {id = "q"},
  {id = "r", prices = {}},
]
""".replace(" # to the million\n ", "")
    lines = key_lines(text)
    tomllib.loads(text)
    assert lines["providers", "mine", "models", "0"] == 4
    assert lines["providers", "mine", "models", "0", "prices", "output"] == 6
    assert lines["providers", "mine", "models", "1", "id"] == 8
    assert lines["providers", "mine", "models", "1", "prices", "input"] == 10
    assert lines["providers", "a.b", "key"] == 12
    assert lines["providers", "a.b", "dotted", "x y", "z"] == 13
    assert lines["providers", "a.b", "many", "1", "prices"] == 16


def test_windows_line_ends_and_a_missing_last_line_end():
    assert key_lines("a = 1\r\n\r\nb.c = true") == {("a",): 1, ("b",): 3, ("b", "c"): 3}


def paths(value, path=()):
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*path, str(key)))


words = st.sampled_from(["a", "b", "c-d", "e_1", "x"])
scalars = st.sampled_from(
    [
        "1",
        "'#]}'",
        '"\\"]"',
        "true",
        "1.5",
        "'''\n]'''",
        '"""\\"""\n# [z]"""',
        "2020-01-01",
        "[]",
        "{}",
        "inf",
        "''",
        '""',
    ]
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[ # c\n" + ",\n".join(items) + "\n]")
        | st.dictionaries(words, inner, max_size=3).map(
            lambda table: "{" + ", ".join(f"{key} = {value}" for key, value in table.items()) + "}"
        )
    ),
    max_leaves=6,
)
pairs = st.dictionaries(words, values, max_size=4).map(
    lambda table: "".join(f"{key} = {value} # [no]\n" for key, value in table.items())
)


@given(pairs, st.dictionaries(words.map("s.{}".format), st.lists(pairs, min_size=1, max_size=2), max_size=3))
def test_every_key_the_parser_sees_has_a_line(top, sections):
    text = top.replace("\ns = ", "\n")
    for name, bodies in sections.items():
        for body in bodies:
            text += (f"[{name}]\n" if len(bodies) == 1 else f"[[{name}]]\n") + "# a = 1\n" + body
    document = tomllib.loads(text)
    lines = key_lines(text)
    assert set(paths(document)) == set(lines)
    rows = text.split("\n")
    for path, line in lines.items():
        name = path[-1]
        assert name.isdigit() or name in rows[line - 1]
