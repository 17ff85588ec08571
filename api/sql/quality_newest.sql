-- The newest final result of each check and source.
select distinct on (check_name, source)
       check_name, source, window_start, window_end, severity, verdict, final, observed, lower_bound, upper_bound,
       records, flagged
  from quality_results
 where final
 order by check_name, source, window_start desc
