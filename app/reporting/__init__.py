"""HTML reports: templates, plots and images."""
