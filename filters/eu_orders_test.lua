local t = ...
local script = t.script("eu_orders.lua", "region=eu,min=100")

t.accepts(script, { props = { region = "eu", amount = "250" } }, "a large order of the region is delivered")
t.accepts(script, { props = { region = "eu", amount = "100" } }, "the smallest amount counts")
t.rejects(script, { props = { region = "eu", amount = "99.9" } }, "a smaller order is not delivered")
t.rejects(script, { props = { region = "us", amount = "900" } }, "another region is not delivered")
t.rejects(script, { props = { region = "eu" } }, "an order without an amount counts as 0")
t.rejects(script, { props = { region = "eu", amount = "many" } }, "an amount that is no number counts as 0")
t.rejects(script, {}, "a message without properties is not delivered")
t.refuses("eu_orders.lua", "region=eu", "min is needed")
t.refuses("eu_orders.lua", "region=eu,min=much", "min is a number")
