-- Nothing.
;
