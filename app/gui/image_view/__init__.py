"""image_view"""
