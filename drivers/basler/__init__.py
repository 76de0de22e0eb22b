"""basler"""
