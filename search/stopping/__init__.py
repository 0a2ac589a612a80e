"""When a trial ends early: ladders, the watchdog, retries."""
