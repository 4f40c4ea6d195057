"""How operations run.

messages         what transports send and get       documents        parsed, measured and validated once
schema           queries, straight from their plan  document_limits  how large a document may be
executor         mutations and subscriptions        cost             how many values an operation may return
translation      selections for the compiler        plans            compiled reads, cached
declarations     readable fields against the compiler
                                                    partial_answers  queries of which fields are refused
"""
