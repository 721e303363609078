"""A page in the browser for the three modes, and the same over HTTP.

limits     what a client may ask for              forms      from what is typed to a request
worker     one thread that owns the model         results    what was made, how it is shown, how comfortable it is
guard      who may ask, and for what              files      what can be fetched of it
form page  what people see                        api        what programs see
server     all of it, listening

Gradio and what it brings live here alone, and are imported when a page is served.
"""
