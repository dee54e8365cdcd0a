-- Text of any list in the form in which it is searched; domain/search_text.py folds what people ask for in the same way.

CREATE FUNCTION tracker.search_folded(words text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE
    -- Most words are plain: in a quarter of the time.
    WHEN octet_length(words) = length(words) AND strpos(words, '  ') = 0 AND words !~ '[\t\n\v\f\r]'
        THEN lower(words COLLATE pg_c_utf8)
    ELSE regexp_replace(
        translate(
            lower(
                regexp_replace(
                    normalize(words, NFKD),
                    '[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f'
                    '\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]',
                    '', 'g'
                ) COLLATE pg_c_utf8
            ),
            'đðøłħıς', 'ddolhiσ'
        ),
        '[\t\n\v\f\r \u0085\u1680\u2028\u2029]+', ' ', 'g'
    )
END
$body$;
COMMENT ON FUNCTION tracker.search_folded IS 'Text for searching: without accents and invisible characters, lower case, single blanks.';
