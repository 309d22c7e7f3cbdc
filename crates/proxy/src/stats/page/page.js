(function(){
var root=document.documentElement,box=document.getElementById('filter'),store=sessionStorage;
root.classList.add('js');
root.style.setProperty('--scrollbar',innerWidth-root.clientWidth+'px');
function dark(){var set=root.dataset.theme;return set?set==='dark':matchMedia('(prefers-color-scheme:dark)').matches}
var button=document.getElementById('theme');
button.addEventListener('click',function(){var next=dark()?'light':'dark';root.dataset.theme=next;try{localStorage.setItem('theme',next)}catch(e){}});
function filter(){
var words=box.value.toLowerCase().split(/\s+/).filter(Boolean);
document.querySelectorAll('section').forEach(function(section){
var shown=0,name=section.dataset.name.toLowerCase();
section.querySelectorAll('tbody tr').forEach(function(row){
var text=name+' '+row.dataset.name.toLowerCase();
var fits=words.every(function(word){return text.indexOf(word)>=0});
row.hidden=!fits;if(fits)shown++});
section.hidden=shown===0});
try{store.setItem('filter',box.value)}catch(e){}}
try{box.value=store.getItem('filter')||box.value}catch(e){}
if(box.value)filter();
box.addEventListener('input',filter);
box.form.addEventListener('submit',function(event){event.preventDefault();filter()});
document.addEventListener('keydown',function(event){
if(event.key==='Escape'){if(document.activeElement===box){box.value='';filter()}document.activeElement.blur()}
if(event.key==='/'&&!/INPUT|SELECT/.test(document.activeElement.tagName)){event.preventDefault();box.focus()}});
document.querySelectorAll('th input').forEach(function(all){all.addEventListener('change',function(){
all.closest('table').querySelectorAll('td input[name=s]').forEach(function(one){if(!one.closest('tr').hidden)one.checked=all.checked})})});
})();
