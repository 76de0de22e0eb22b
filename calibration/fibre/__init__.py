"""fibre"""
