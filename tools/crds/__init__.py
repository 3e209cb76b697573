"""The custom resources, made from the models of `torpor_api`: `make manifests` writes them.

``schema`` turns a model into a structural schema, ``rules`` adds what the API server is to refuse
beyond types and bounds, ``definitions`` puts the frame around them. All of it is pure; a test holds
the committed files to what is made here.
"""
