-- transactional: false
ALTER TABLE event DETACH PARTITION event_2025 CONCURRENTLY;
