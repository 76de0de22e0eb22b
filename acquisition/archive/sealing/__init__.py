"""Sealing shards: the bytes of a shard's file, and the threads that write shards while the next one fills."""
