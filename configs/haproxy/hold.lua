-- Loaded by haproxy (lua-load). While a service is handed over its new requests wait here instead of
-- failing: as long as the server of that name in backend `tricast_hold` is not in maintenance, and
-- no longer than `limit` milliseconds. The controller turns that server through the runtime socket.
--
--   http-request lua.tricast_hold be_wallet 2000 if { srv_is_up(tricast_hold/be_wallet) }

local POLL_MS = 5
local looks = {} -- by gate: the newest look, shared by all that wait

local function now_ms()
  local now = core.now()
  return now.sec * 1000 + now.usec / 1000
end

local function held(gate)
  local at, look = now_ms(), looks[gate]
  if look == nil or at < look.at or at - look.at >= POLL_MS then
    local server = core.backends["tricast_hold"].servers[gate]
    look = { at = at, held = server ~= nil and server:get_stats()["status"] ~= "MAINT" }
    looks[gate] = look
  end
  return look.held
end

core.register_action("tricast_hold", { "http-req" }, function(_, gate, limit)
  local until_ms = now_ms() + tonumber(limit)
  while held(gate) and now_ms() < until_ms do
    core.msleep(POLL_MS)
  end
end, 2)
