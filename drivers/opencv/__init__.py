"""opencv"""
