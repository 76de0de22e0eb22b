"""few_pair"""
