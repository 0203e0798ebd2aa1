-- Sample rows for reviews: three thousand batches in every status and every state, as a busy autumn leaves them.
--
-- For the tables of 0003 and of every later migration: columns are named, so that new ones stay null or get their default.
-- Nothing random: the same rows each time.

INSERT INTO cj_batch_uploads
    (bos_batch_id, event_correlation_id, language, course_code, expected_essay_count, status, completed_at,
     processing_metadata, assignment_id, user_id, org_id)
SELECT
    md5('batch ' || n)::uuid::text,
    md5('request ' || n)::uuid::text,
    CASE WHEN n % 7 = 0 THEN 'sv' ELSE 'en' END,
    'ENG' || 5 + n % 3,
    10 + n % 50,
    (enum_range(NULL::cj_batch_status_enum))[1 + n % array_length(enum_range(NULL::cj_batch_status_enum), 1)],
    CASE WHEN n % 8 BETWEEN 3 AND 5 THEN timestamp '2026-09-01' + n * interval '13 minutes' END,
    CASE WHEN n % 5 = 0 THEN json_build_object('attempt', n % 3) END,
    CASE WHEN n % 4 <> 0 THEN 'assignment-' || n % 200 END,
    CASE WHEN n % 3 <> 0 THEN 'teacher-' || n % 90 END,
    CASE WHEN n % 6 <> 0 THEN 'school-' || n % 12 END
FROM generate_series(1, 3000) AS n;

-- Most batches have begun; every tenth waits for its turn.
INSERT INTO cj_batch_states
    (batch_id, state, total_comparisons, submitted_comparisons, completed_comparisons, failed_comparisons,
     partial_scoring_triggered, current_iteration, processing_metadata)
SELECT
    u.id,
    (enum_range(NULL::cj_batch_state_enum))[1 + n % array_length(enum_range(NULL::cj_batch_state_enum), 1)],
    10 * u.expected_essay_count,
    10 * u.expected_essay_count * (n % 11) / 10,
    9 * u.expected_essay_count * (n % 11) / 10,
    u.expected_essay_count * (n % 11) / 10,
    n % 11 > 9,
    1 + n % 4,
    CASE WHEN n % 9 = 0 THEN json_build_object('iteration', 1 + n % 4) END
FROM (SELECT *, row_number() OVER (ORDER BY id)::integer AS n FROM cj_batch_uploads) AS u
WHERE n % 10 <> 0;
