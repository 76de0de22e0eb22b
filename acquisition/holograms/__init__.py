"""holograms"""
