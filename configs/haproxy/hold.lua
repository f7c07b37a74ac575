-- Loaded by haproxy (lua-load). While a service is handed over its new requests wait here instead of
-- failing: as long as the server of that name in backend `tricast_hold` is not in maintenance, and
-- no longer than `limit` milliseconds. The controller turns that server through the runtime socket.
--
--   http-request lua.tricast_hold be_wallet 2000 if { srv_is_up(tricast_hold/be_wallet) }
--
-- What waited goes on one after the other, not all at once: the servers that take over have no
-- sessions with their databases yet.

local POLL_MS = 5
local SPACE_MS = 3 -- between two that go on
local TAIL_MS = 200 -- until the last of them goes on, at most
local gates = {} -- by name: the newest look, how many wait, and who goes on next

local function now_ms()
  local now = core.now()
  return now.sec * 1000 + now.usec / 1000
end

local function looked_at(name)
  local at = now_ms()
  local gate = gates[name] or { at = 0, held = false, waiting = 0, turn = 0, space = 0 }
  if at < gate.at or at - gate.at >= POLL_MS then
    local server = core.backends["tricast_hold"].servers[name]
    local held = server ~= nil and server:get_stats()["status"] ~= "MAINT"
    if gate.held and not held then
      gate.turn, gate.space = 0, math.min(SPACE_MS, TAIL_MS / math.max(1, gate.waiting))
    end
    gate.at, gate.held = at, held
  end
  gates[name] = gate
  return gate
end

core.register_action("tricast_hold", { "http-req" }, function(_, name, limit)
  local until_ms = now_ms() + tonumber(limit)
  local gate = looked_at(name)
  if not gate.held then
    return
  end
  gate.waiting = gate.waiting + 1
  while gate.held and now_ms() < until_ms do
    core.msleep(POLL_MS)
    gate = looked_at(name)
  end
  gate.waiting = gate.waiting - 1
  if not gate.held then
    gate.turn = gate.turn + 1
    local pause = math.floor((gate.turn - 1) * gate.space)
    if pause > 0 then
      core.msleep(pause)
    end
  end
end, 2)
