"""Our own thin view over the schema: GraphQL over HTTP, server-sent events, and graphql-transport-ws.

Strawberry's ready-made view answers 500 to the JSON body `1`, never negotiates a media type, breaks urql's event
streams, and runs one context for a whole socket; what is here passes graphql-http's audits and costs less.
"""
