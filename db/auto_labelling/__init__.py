"""Auto labelling: jobs by which a model suggests annotations, and people decide.

requests     startAutoLabeling: what is refused, and the job
job_samples  the samples of a job, fixed when it begins
job          asks the model about them, page by page, and writes what it suggests
built_in     the server's own model, which learns from labelled samples; `features` keeps what it sees
onnx         models in files of the server's owner
http         models behind HTTP, in two protocols
"""
