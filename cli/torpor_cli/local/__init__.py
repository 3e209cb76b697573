"""The cluster's part on one machine: resources, processes, storage."""
