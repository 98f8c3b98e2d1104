use packllm::backend::llama::*; use packllm::backend::*; use packllm::vocab::*; use std::time::Instant; use std::sync::Arc;
fn main(){
  let o=LoadOptions{path:std::env::args().nth(1).unwrap().into(),context:Some(512),batch:512,ubatch:512,outputs:64,sequences:18,threads:1,flash_attention:None,cache:(CacheType::F16,CacheType::F16),offload:Default::default(),watch:Arc::default()};
  let mut m=LlamaMember::load(&o).unwrap();
  let t=Instant::now(); let s=Arc::new(sorted::SortedVocab::new(m.vocab())); println!("sort {:?}",t.elapsed());
  let toks=m.tokenize("The capital of",false).unwrap();
  for i in 0..3 { let t=Instant::now(); m.decode(&[Entry{token:toks[i%toks.len()],pos:i as u32,seq:0,output:true}]).unwrap(); println!("decode {:?}",t.elapsed()); }
  let row=m.logits(0).unwrap().to_vec();
  let mut d=dist::Dist::new(dist::Precision::Fast); let mut out=[0.0;SYMBOLS];
  for _ in 0..3 { d.fill(&s,&row).unwrap(); }
  let t=Instant::now(); for _ in 0..2000 { d.fill(&s,&row).unwrap(); } println!("fill {:?}",t.elapsed()/2000);
  let c=s.child(sorted::Cursor::ROOT,b' ').unwrap();
  let t=Instant::now(); for _ in 0..50 { d.masses(&s,c,&mut out); } println!("masses space {:?}",t.elapsed()/50);
  let c2=s.child(c,b't').unwrap();
  let t=Instant::now(); for _ in 0..50 { d.masses(&s,c2,&mut out); } println!("masses space t {:?}",t.elapsed()/50);
}
