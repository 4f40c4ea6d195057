"""Exports: what goes out of a dataset, as files.

manifests   the manifest of a version, next to its label files
requests    what clients ask for
selection   the samples of an export, fixed when it begins
records     those samples, as formats write them (`db/formats/datasets`)
images      their bytes, and which are missing
packing     which files an export becomes
job         writing them
files       finding what was written, and removing it when its time is over
"""
