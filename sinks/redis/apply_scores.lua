-- Applies live scores and moves the offset, all or nothing; returns how many changes went to the stream, or -1 when the
-- stored offset is not the expected one.
--
-- KEYS: offset, live, board, deltas, pipeline
-- ARGV: expected offset ('' : there must be none, and what the keys hold is replaced without telling the stream),
--       next offset, longest length of the stream, count of freshness fields (pairs), the pairs with position last,
--       then 4 a score: account, points ('' where there is no score), length of the JSON's part that is no mere
--       freshness, JSON
local offset, live, board, deltas, pipeline = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local expected, following, longest, pairs_count = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local loading = expected == ''

if (redis.call('GET', offset) or '') ~= expected then
    return -1
end
if loading then
    redis.call('DEL', live, board, pipeline)
end

local function position_of(json)
    return tonumber(string.match(json, '"position":(%d+)}$'))
end

local function model_of(json)
    return string.match(json, '"model":("[^"]*")')
end

local first = 5 + 2 * pairs_count
if pairs_count > 0 then
    local held = tonumber(redis.call('HGET', pipeline, 'position') or '-1')
    if tonumber(ARGV[first - 1]) > held then
        redis.call('HSET', pipeline, unpack(ARGV, 5, first - 1))
    end
end

local told = 0
for i = first, #ARGV, 4 do
    local account, points, length, json = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
    local old = redis.call('HGET', live, account)
    -- The greater position of a model wins; another model takes over in log order.
    if not old or model_of(old) ~= model_of(json) or position_of(json) > position_of(old) then
        redis.call('HSET', live, account, json)
        if points == '' then
            redis.call('ZREM', board, account)
        else
            redis.call('ZADD', board, points, account)
        end
        if not loading and (not old or string.sub(old, 1, length) ~= string.sub(json, 1, length)) then
            redis.call('XADD', deltas, 'MAXLEN', '~', longest, '*', 'm', json)
            told = told + 1
        end
    end
end

redis.call('SET', offset, following)
return told
