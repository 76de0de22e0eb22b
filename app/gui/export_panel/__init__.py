"""The panel that exports recordings and datasets: formats, what of them, films, where to, and how far it is."""
