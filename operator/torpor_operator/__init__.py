"""Makes what ServerlessDatabases and WarmPools declare: storage, secrets, pods, certificates."""
