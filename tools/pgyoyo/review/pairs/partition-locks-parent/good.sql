-- transactional: false
ALTER TABLE visit DETACH PARTITION visit_2025 CONCURRENTLY;
