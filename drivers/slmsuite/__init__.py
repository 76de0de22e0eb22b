"""slmsuite"""
