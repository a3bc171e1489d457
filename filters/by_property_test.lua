local t = ...
local night = t.script("by_property.lua", "name=shift,value=night*,negate=false")
local other = t.script("by_property.lua", "name=shift,value=night*,negate=true")
local any = t.script("by_property.lua", "name=shift,value=*,negate=false")

t.accepts(night, { props = { shift = "night-2" } }, "a value that matches is delivered")
t.rejects(night, { props = { shift = "day" } }, "a value that does not match is not")
t.rejects(night, { props = { ship = "night" } }, "nor a message without the property")
t.rejects(other, { props = { shift = "night" } }, "negate turns it round")
t.accepts(other, { props = { shift = "day" } }, "negate delivers what does not match")
t.accepts(other, {}, "negate delivers messages without the property")
t.accepts(any, { props = { shift = "x" } }, "a star matches any value")
t.rejects(any, {}, "but not a missing one")
t.refuses("by_property.lua", "name=shift,value=x,negate=perhaps", "negate is true or false")
