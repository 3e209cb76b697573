"""One page for people: the fleet as tiles, live, with sleep and wake under the thumb.

``door`` says who may come in, ``board`` what the tiles are and which have changed, ``live`` keeps
it up to date while somebody looks, ``story`` tells of one database, ``page/`` is what browsers
load, and ``web`` answers over HTTP. Without a viewer nothing of it costs anything.
"""
