select check_name, source, window_start, window_end, severity, verdict, final, observed, lower_bound, upper_bound,
       records, flagged
  from quality_results
 where check_name = %(check_name)s
   and (%(source)s::text is null or source = %(source)s)
   and (%(start)s::timestamptz is null or window_start >= %(start)s)
   and (%(end)s::timestamptz is null or window_start < %(end)s)
 order by window_start desc, source
 limit %(limit)s
