"""Training of the router's weights and its benchmark: offline work that needs numpy (`pip install 'tollway[routing]'`)."""
