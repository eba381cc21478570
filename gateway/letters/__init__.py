"""The letter of a commitment (告知承诺书): templates as data, the document that is signed, and its readable forms.

`templates` chooses the wording, `document` fills it into what is signed, `layout` arranges a document with what became
of it, `plain` and `pdf` write that arrangement. Nothing here reads the ledger.
"""
