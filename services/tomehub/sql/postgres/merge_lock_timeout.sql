-- The transaction would rather give up than keep writers waiting behind it.
SELECT set_config('lock_timeout', '200ms', true);
