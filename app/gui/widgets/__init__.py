"""Small widgets, icons, styles and number formats that several windows share."""
