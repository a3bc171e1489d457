-- by_property: deliver messages by one of their properties.
--
-- Purpose  tell messages apart without a tag of their own
-- Args     name   (string)   the property
--          value  (string)   a glob it must match: '*' any run, '?' any character; "*" = the property is there
--          negate (boolean)  deliver the messages that do not match
-- Cost     one look-up in the message's properties and one match
--
--   mqadmin bindScript -n HOST:9876 -c DefaultCluster -g night_shift -s by_property -a 'name=shift,value=night*,negate=false'

local M = {
  version = "1.0",
  args = { name = "string", value = "string", negate = "boolean" },
}

function M.filter(msg, args)
  local value = msg:prop(args.name)
  local hit = value ~= nil and mq.match(value, args.value)
  return hit ~= args.negate
end

return M
