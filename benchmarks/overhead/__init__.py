"""What orchestration costs: proposing, placing, reporting, stopping and recording trials of next to no training."""
