"""Connection to Ray, the cluster's nodes and slots, its storage, and what happens when Ray dies."""
