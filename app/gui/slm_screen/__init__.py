"""slm_screen"""
