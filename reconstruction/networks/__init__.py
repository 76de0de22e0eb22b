"""Networks, one a file, without any training or sampling."""
