"""calibrations"""
