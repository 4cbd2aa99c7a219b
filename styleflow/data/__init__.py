"""Files in, values out: data sets, clips and published weights. Training data never lives here."""
