-- Every token is in exactly one of them.
select
    named.measure,
    named.token_kind,
    named.modality,
    named.quantity_unit
from (
    values
    ('input_uncached_tokens', 'input', 'text', 'tokens'),
    ('input_cached_tokens', 'cached_input', 'text', 'tokens'),
    ('input_cache_write_tokens', 'cache_write', 'text', 'tokens'),
    ('output_tokens', 'output', 'text', 'tokens'),
    ('input_audio_tokens', 'input', 'audio', 'tokens'),
    ('input_cached_audio_tokens', 'cached_input', 'audio', 'tokens'),
    ('output_audio_tokens', 'output', 'audio', 'tokens'),
    ('input_image_tokens', 'input', 'image', 'tokens'),
    ('input_cached_image_tokens', 'cached_input', 'image', 'tokens'),
    ('output_image_tokens', 'output', 'image', 'tokens'),
    ('images', 'images', 'text', 'images'),
    ('characters', 'characters', 'text', 'characters'),
    ('seconds', 'seconds', 'text', 'duration_seconds'),
    ('usage_bytes', null, null, 'bytes'),
    ('num_sessions', null, null, 'sessions'),
    ('num_requests', null, null, 'requests')
) as named (measure, token_kind, modality, quantity_unit)
