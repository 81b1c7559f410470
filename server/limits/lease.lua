-- Leases tokens of one bucket to one worker.
--
-- KEYS[1]  the bucket, a hash: tokens, at (when it held them, in microseconds), leased (how many tokens
--          were leased and not known to be spent then)
-- KEYS[2]  the leases of the last second, a sorted set by their time: <id>:<tokens>
-- ARGV     rate (tokens a second), burst, the id of the new lease, the lease that the worker has
--          used up (empty: none), how many calls wait for the new one
--
-- Returns how many tokens are leased, and after how many microseconds to ask for more: 0 unless the
-- bucket is empty now.
--
-- It is a token bucket, as GCRA is. Tokens that were leased before a moment may be spent after it, in
-- addition to all that the bucket then holds. So the bucket is never fuller than the burst less the
-- tokens leased: at any moment both together are at most the burst, and from then on come rate × time.
-- One token may always be in it, or a burst of one would be no rate.
--
-- A lease is a share of what comes in 20 ms, or as much as the calls take that wait for it: those spend it
-- at once, however long the answer is under way. They leave room in the burst for that one token.

local SECOND = 1000000
local LAPSE = 0.1 * SECOND   -- How long a lease lasts at most; the workers know the same.
local ACTIVE = SECOND        -- How long a worker that asked counts as active.
local LEASE = 0.02           -- The seconds of the rate that all active workers together may lease.

local bucket, leases = KEYS[1], KEYS[2]
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * SECOND + time[2]

local tokens = burst
local held = redis.call('HMGET', bucket, 'tokens', 'at', 'leased')
if held[1] then
  -- A clock that was set back costs nobody anything.
  local elapsed = math.max(0, now - held[2])
  local lasting = math.min(elapsed, LAPSE)
  tokens = math.min(held[1] + rate * lasting / SECOND, math.max(1, burst - held[3]))
  tokens = math.min(tokens + rate * (elapsed - lasting) / SECOND, burst)
end

redis.call('ZREM', leases, ARGV[4])
redis.call('ZREMRANGEBYSCORE', leases, '-inf', now - ACTIVE)
redis.call('ZREMRANGEBYSCORE', leases, '(' .. string.format('%d', now), '+inf')
local active = redis.call('ZCARD', leases) + 1
local leased = 0
for _, lease in ipairs(redis.call('ZRANGE', leases, now - LAPSE, '+inf', 'BYSCORE')) do
  leased = leased + string.match(lease, ':(%d+)$')
end

local share = math.max(1, math.floor(LEASE * rate / active))
local awaited = math.min(tonumber(ARGV[5]), math.floor(burst - leased) - 1)
local granted = math.min(math.max(share, awaited), math.floor(tokens))
tokens = tokens - granted

redis.call('ZADD', leases, now, ARGV[3] .. ':' .. granted)
redis.call('HSET', bucket, 'tokens', tokens, 'at', now, 'leased', leased + granted)
-- Untouched for this long, it would be full.
local full = math.ceil((burst / rate * SECOND + LAPSE + ACTIVE) / 1000)
redis.call('PEXPIRE', bucket, full)
redis.call('PEXPIRE', leases, full)

if tokens >= 1 then
  return {granted, 0}
end
-- Until there is one, but not before there is a lease worth asking for, nor so late that the bucket
-- overflows.
local wait = math.max((1 - tokens) / rate, math.min(LEASE, burst / rate / 2))
return {granted, math.ceil(wait * SECOND)}
