"""Reports as HTML pages: templates, plots and images."""
