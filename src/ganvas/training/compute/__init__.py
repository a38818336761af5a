"""How a run is computed: device, precision, process, captured steps."""
