"""The query language of PubMed as code.

`parse` reads a query into a tree, `lint` names what PubMed would silently bend, `show` writes the
tree back or explains it, `blocks` takes a strategy apart into concepts, `plan` turns it into
questions that records answer, `match` asks them of one record, `translate` writes it for other
databases.
"""
