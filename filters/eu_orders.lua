-- eu_orders: orders of one region from an amount upwards.
--
-- Purpose  a group that handles one region's larger orders receives only those
-- Args     region (string)  value of the property `region`
--          min    (number)  smallest value of the property `amount`
-- Cost     two look-ups in the message's properties; the body is not read
--
--   mqadmin putScript  -n HOST:9876 -c DefaultCluster -f filters/eu_orders.lua
--   mqadmin bindScript -n HOST:9876 -c DefaultCluster -g eu_team -s eu_orders -a 'region=eu,min=100'

local M = {
  version = "1.0",
  args = { region = "string", min = "number" },
}

function M.filter(msg, args)
  return msg:prop("region") == args.region
     and (msg:num("amount") or 0) >= args.min
end

return M
