"""Standard modules, as far as cells need them, in the Python of cells.

The real ones would undo the wall (`ChainMap.new_child` calls `type(self)` of whatever it is given, `PurePath`
holds a module, `singledispatch` evaluates annotations).  These run behind it, as a cell does, and can do no
more: compiled by the policy when a cell first asks for a member of theirs.
"""
