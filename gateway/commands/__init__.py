"""The commands of `chengxin`, a group a file; `options` holds what several share.

Commands import what they need when they run, so that help is quick.
"""
